//! The command line: arguments become calls, one file a noun.
