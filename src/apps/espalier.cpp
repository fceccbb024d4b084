#include "cli/main.hpp"

int main(int argc, char** argv) { return espalier::cli::main(argc, argv); }
