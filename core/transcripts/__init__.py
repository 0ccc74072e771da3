"""The texts of a finished job in the formats that form and archive systems read."""
