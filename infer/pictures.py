def draw(context, trials):
    pass
