"""How the starter model is made: fonts, texts, lines, training, export."""
