#include "daemon/main.hpp"

int main(int argc, char** argv) { return espalier::daemon::main(argc, argv); }
