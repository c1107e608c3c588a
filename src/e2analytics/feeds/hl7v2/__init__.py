"""HL7 version 2: messages out of a file, segments out of a message, rows out of segments."""
