"""The error family. Each message is one or two sentences for a person: what is wrong, and what to do.

AtelierError
├── SettingsError         a setting is unknown, missing or impossible
├── UnreadableFile        one file could not be read; the others go on
├── StoreError            the database cannot be opened, read or written
│   └── StoreBusy         another process is writing; try again
│       └── SourcesBusy   another process reads the sources; it is left to that one
├── IndexCorrupt          the index cache does not match its manifest (it is rebuilt from the store)
├── EncoderError          the encoder's weights are missing or are not the published ones
├── HeadError             an intent or sentiment head is damaged or unreadable
│   └── HeadMismatch      a head was trained on another encoder's vectors (rules of thumb stand in for it)
├── MessageRefused        an incoming message is empty or too long
├── FinetuneError         a fine-tuning job cannot start or go on
│   ├── DataRefused       the training data leaves nothing to learn from; the problems are listed
│   └── RegistryError     an adapter version is unknown, damaged, or may not be served
└── GeneratorError        no reply could be worded
    ├── ModelFolderError  a model or adapter folder is not one
    ├── Overloaded        the queue is full; the message was not taken
    └── ModelFailed       the model failed, hung or was too slow (the extractive generator answers instead)
"""


class AtelierError(Exception):
    """Root of every failure that a person can act on; `str(error)` is shown to them as it is."""


class SettingsError(AtelierError):
    pass


class UnreadableFile(AtelierError):
    pass


class StoreError(AtelierError):
    pass


class StoreBusy(StoreError):
    pass


class SourcesBusy(StoreBusy):
    pass


class IndexCorrupt(AtelierError):
    pass


class EncoderError(AtelierError):
    pass


class HeadError(AtelierError):
    pass


class HeadMismatch(HeadError):
    pass


class MessageRefused(AtelierError):
    pass


class FinetuneError(AtelierError):
    pass


class DataRefused(FinetuneError):
    pass


class RegistryError(FinetuneError):
    pass


class GeneratorError(AtelierError):
    pass


class ModelFolderError(GeneratorError):
    pass


class Overloaded(GeneratorError):
    pass


class ModelFailed(GeneratorError):
    pass
