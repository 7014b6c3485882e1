"""Telegram: the Bot API by long polling or webhook, answers as edits of a placeholder."""
