"""What the training lines say: the kinds of text found in the fields of a form, drawn from a seeded generator."""

import functools
import random
import string
from collections.abc import Callable, Mapping
from pathlib import Path

from faker import Faker

MAX_CHARACTERS = 36
WORD_LIST = Path("/usr/share/dict/words")
COMMON = """
the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not
what all were we when your can said there use an each which she do how their if will up other about out many then
them these so some her would make like him into time has look two more write go see number no way could people my
than first water been call who oil its now find long down day did get come made may part please sign here date name
address signature total amount paid due received reference account order invoice yes none left right male female
single married widowed divorced student teacher nurse driver retired manager unemployed english monday tuesday
wednesday thursday friday saturday sunday january february march april june july august september october november
december street road avenue lane drive court place house flat apartment city state
""".split()  # noqa: SIM905 - a list of words in quotes would be three pages
MONTHS = (
    "January February March April May June July August September October November December".split(),  # noqa: SIM905
    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(),  # noqa: SIM905
)


@functools.cache
def read_word_list() -> list[str]:
    """Read Debian's American word list (package wamerican, version 2020.12.07 for the shipped model)."""
    if not WORD_LIST.exists():
        raise FileNotFoundError(f"{WORD_LIST} is missing: install a word list, such as Debian's package wamerican")
    return WORD_LIST.read_text(encoding="utf-8").split()


# What a model that reads the rest well still gets wrong: separators of amounts, capitals of states, final full stops.
HARD_KINDS = {"amount": 1.5, "place": 1.8, "date": 1.2, "phone": 1.2, "sentence": 1.3}


class TextSource:
    """Draw one line of text after another; the same seed draws the same lines.

    `emphasis` says how much more often than usual a kind is drawn; held-out lines are drawn without any.
    """

    def __init__(self, seed: int, emphasis: Mapping[str, float] | None = None) -> None:
        self.random = random.Random(seed)
        self.faker = Faker(["en_US", "en_GB", "en_CA"])
        self.faker.seed_instance(seed)
        listed = read_word_list()
        self.words = [word for word in listed if word.isascii() and 2 <= len(word) <= 12 and "'s" not in word]
        self.kinds: list[tuple[float, Callable[[], str]]] = [
            (14, self.name),
            (8, self.address),
            (5, self.place),
            (9, self.date),
            (8, self.amount),
            (7, self.phone),
            (6, self.email),
            (9, self.digits),
            (8, self.code),
            (12, self.single_words),
            (18, self.sentence),
            (4, self.company),
            (4, self.noise),
        ]
        self.weights = [weight * (emphasis or {}).get(kind.__name__, 1.0) for weight, kind in self.kinds]

    def line(self) -> str:
        """Draw one line: printable ASCII, one to MAX_CHARACTERS characters, no space at either end."""
        while True:
            text = self.random.choices(self.kinds, self.weights)[0][1]()
            text = " ".join(text.encode("ascii", "ignore").decode().split())
            if len(text) > MAX_CHARACTERS:
                text = text[:MAX_CHARACTERS].rsplit(" ", 1)[0].strip()
            if text:
                return self.cased(text)

    def cased(self, text: str) -> str:
        """Put a few texts into capitals or small letters."""
        draw = self.random.random()
        if draw < 0.10:
            return text.upper()
        return text.lower() if draw < 0.14 else text

    def name(self) -> str:
        """Draw a person's name."""
        first, last = self.faker.first_name(), self.faker.last_name()
        forms = (
            f"{first} {last}",
            last,
            first,
            f"{last}, {first}",
            f"{first[0]}. {last}",
            f"{first} {self.random.choice(string.ascii_uppercase)}. {last}",
            f"{self.random.choice(('Mr', 'Mrs', 'Ms', 'Dr', 'Dr.', 'Mr.'))} {last}",
            f"{last}-{self.faker.last_name()}",
        )
        return self.random.choices(forms, (8, 4, 4, 2, 1, 2, 1, 1))[0]

    def address(self) -> str:
        """Draw a street address."""
        draw = self.random.random()
        if draw < 0.5:
            return self.faker.street_address().replace("\n", ", ")
        if draw < 0.7:
            return self.faker.secondary_address()
        return f"{self.random.randint(1, 999)} {self.faker.street_name()}"

    def place(self) -> str:
        """Draw a city, a country or a postcode."""
        draw = self.random.random()
        if draw < 0.4:
            return f"{self.faker.city()}, {self.faker['en_US'].state_abbr()} {self.faker['en_US'].postcode()}"
        if draw < 0.6:
            return f"{self.faker.city()} {self.faker['en_GB'].postcode()}"
        return self.random.choice((self.faker.city, self.faker.country, self.faker.postcode))()

    def date(self) -> str:
        """Draw a date or a time."""
        day, month, year = self.random.randint(1, 31), self.random.randint(1, 12), self.random.randint(1930, 2039)
        separator = self.random.choice("//.-")
        long, short = (names[month - 1] for names in MONTHS)
        forms = (
            f"{day:02}{separator}{month:02}{separator}{year}",
            f"{month}/{day}/{year % 100:02}",
            f"{year}-{month:02}-{day:02}",
            f"{day} {long} {year}",
            f"{long} {day}, {year}",
            f"{day} {short} {year}",
            f"{short}. {day}, {year}",
            f"{self.random.randint(0, 23):02}:{self.random.randint(0, 59):02}",
            f"{long} {year}",
        )
        return self.random.choices(forms, (6, 3, 3, 2, 2, 2, 1, 1, 1))[0]

    def amount(self) -> str:
        """Draw an amount of money, a share or a weight."""
        value = round(10 ** self.random.uniform(0, 5.5), 2)
        symbol = self.random.choice(("$", "$", "$", "", "USD ", "EUR ", "GBP "))
        forms = (
            f"{symbol}{value:,.2f}",
            f"{symbol}{value:.2f}",
            f"{int(value):,}",
            f"{symbol}{int(value)}",
            f"{value:.1f}%",
            f"{int(value % 100)}%",
            f"({value:.2f})",
            f"{value:.2f} kg",
            f"+{int(value)}",
        )
        return self.random.choices(forms, (6, 4, 2, 2, 1, 1, 0.5, 0.5, 0.5))[0]

    def phone(self) -> str:
        """Draw a phone number."""
        if self.random.random() < 0.5:
            return self.faker.phone_number()
        pattern = self.random.choice(
            ("(###) ###-####", "###-###-####", "+1 ### ### ####", "0#### ######", "+44 #### ######")
        )
        return self.faker.numerify(pattern)

    def email(self) -> str:
        """Draw an e-mail address or a part of one."""
        draw = self.random.random()
        if draw < 0.75:
            return self.faker.email()
        return self.faker.domain_name() if draw < 0.9 else f"@{self.faker.user_name()}"

    def digits(self) -> str:
        """Draw a run of digits."""
        return "".join(self.random.choices(string.digits, k=self.random.randint(1, 14)))

    def code(self) -> str:
        """Draw a reference of letters and digits."""
        draw = self.random.random()
        if draw < 0.3:
            return "".join(self.random.choices(string.ascii_uppercase + string.digits, k=self.random.randint(3, 10)))
        if draw < 0.6:
            return self.faker.bothify(
                self.random.choice(
                    ("??-####", "#####/##", "INV-#####", "No. ####", "#?##", "##-###-##", "#??-###", "Ref: ?####")
                )
            ).upper()
        if draw < 0.8:
            return self.faker.numerify(
                self.random.choice(
                    ("###-##-####", "#### #### #### ####", "## ## ##", "#.##", "##:##", "#/#", "# x ##", "##.#")
                )
            )
        letters = self.random.choices(string.ascii_letters + string.digits, k=self.random.randint(2, 8))
        return "".join(letters)

    def word(self) -> str:
        """Draw a word, a common one in a third of the draws."""
        return self.random.choice(COMMON) if self.random.random() < 0.35 else self.random.choice(self.words)

    def single_words(self) -> str:
        """Draw one to three words."""
        words = [self.word() for _ in range(self.random.choice((1, 1, 2, 3)))]
        text = " ".join(words)
        return text.capitalize() if self.random.random() < 0.4 else text

    def sentence(self) -> str:
        """Draw a short sentence, with some punctuation."""
        words = [self.word() for _ in range(self.random.randint(2, 6))]
        if self.random.random() < 0.3:
            words[self.random.randrange(len(words))] = self.random.choice(
                (str(self.random.randint(0, 2999)), self.faker.first_name())
            )
        if self.random.random() < 0.35:
            place = self.random.randrange(len(words))
            words[place] = self.random.choice(
                ("{},", "{},", "'{}'", '"{}"', "({})", "{};", "{}:", "{}'s", "{}/or", "{} &", "{} -", "{}-it")
            ).format(words[place])
        text = " ".join(words)
        if len(text) > MAX_CHARACTERS - 1:
            text = text[: MAX_CHARACTERS - 1].rsplit(" ", 1)[0]
        text = text[0].upper() + text[1:] if self.random.random() < 0.75 else text
        return text + self.random.choices(("", ".", "!", "?", ",", ":"), (4, 5, 0.6, 1, 0.4, 0.4))[0]

    def company(self) -> str:
        """Draw a company or a job."""
        return self.random.choice((self.faker.company, self.faker.job))()

    def noise(self) -> str:
        """Draw characters that no word list holds, so that every printable one is learned."""
        symbols = string.punctuation
        mixed = self.random.choices(symbols + string.ascii_letters + string.digits, k=self.random.randint(2, 10))
        return "".join(mixed)
