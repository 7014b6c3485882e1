"""Both doors against emulators that nobody here wrote: telemelya (Telegram, by webhook) and emulate (Slack, by HTTP).

Where an emulator departs from its platform, a go-between does what the platform does; each place says what that is.
"""
