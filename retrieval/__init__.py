"""Ground floor: documents to passages, passages to evidence. Knows nothing of chat."""
