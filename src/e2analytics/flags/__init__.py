"""Men on an aromatase inhibitor: status, tier, reasons, and what they rest on."""
