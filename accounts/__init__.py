"""WHO: people, organizations, memberships, plans and what each may see."""
