"""Where events become answers: who may ask, whether Atelier is meant, what is done, what is said.

`desk` takes every event, `orders` the commands, `files` what comes with a message, `access` says who may read what.
"""
