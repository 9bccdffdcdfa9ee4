"""What keeps the log's file sound and its disk usable: reserve, check, salvage, backup, checkpoint."""
