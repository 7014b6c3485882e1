"""Prompts as tests of generators put them."""

from agent.message import History, Intent, Move, Prompt
from agent.prompt import PERSONA


def prompt(message, found=(), move=Move.ANSWER, intent=Intent.ASK, lines=()):
    return Prompt(PERSONA, History("", tuple(lines)), message, intent, move, tuple(found))
