"""Facts: what is true of an image, of the running stack and of the configuration.

Reading them is the only slow step and the only one that asks Docker; checks are given facts.
"""
