"""The model's side: checkpoints, prompt, label trie, predictors and the report encoder."""
