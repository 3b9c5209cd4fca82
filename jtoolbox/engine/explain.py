def compiled(gathered): pass
