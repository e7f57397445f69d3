-- Policies, what they remember and what was decided are gone with their tables: an older program has no room for them.
DROP TABLE scaling_decisions;
DROP TABLE scaling_states;
DROP TABLE scaling_policy_versions;
DROP TABLE scaling_policies;
