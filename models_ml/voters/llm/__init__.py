"""What the two language-model seats share: facts, prompts, answers, limits and the loop that waits. Pure of Django."""
