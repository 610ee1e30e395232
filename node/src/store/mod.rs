//! All SQL: one trait, two databases.
