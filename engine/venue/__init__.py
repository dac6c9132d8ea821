"""An exchange on loopback: binance's spot protocol over the paper exchange's books, with faults on demand."""
