"""toxiproxy, which cuts, slows and resets connections for the tests."""

from .module import build as build_module

MODULE = "github.com/Shopify/toxiproxy/v2"
VERSION = "v2.5.0"
SUM = "h1:i4LPT+qrSlKNtQf5QliVjdP08GyAH8+BUIc9gT0eahc="


def build():
    build_module("toxiproxy", MODULE, VERSION, SUM, "./cmd/server", least_go=(1, 25))
