"""The assistant: a spoken or typed sentence, and perhaps a picture, to a structured answer from log, reports and model. It never acts."""
