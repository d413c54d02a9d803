"""One module for each thing that mp does. A verb takes plain values, returns or yields plain values, prints nothing."""
