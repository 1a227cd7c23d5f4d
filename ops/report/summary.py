from ops import console
def built(b):
    console.done(str(b))
