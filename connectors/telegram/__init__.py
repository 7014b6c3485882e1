"""Telegram: the Bot API by long polling or webhook, answers as edits of a placeholder."""

from connectors.telegram.connector import TelegramConnector

__all__ = ["TelegramConnector"]
