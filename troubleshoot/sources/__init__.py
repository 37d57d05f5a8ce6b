"""Where evidence comes from: files, standard input and live endpoints. Nothing here judges what it reads."""
