"""The model behind one interface: line images in, transcriptions out."""
