"""versitygw, an S3 server for the tests."""

from .module import build as build_module

MODULE = "github.com/versity/versitygw"
VERSION = "v1.8.0"
SUM = "h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc="


def build():
    build_module("versitygw", MODULE, VERSION, SUM, "./cmd/versitygw", least_go=(1, 25), said_by="main.Version")
