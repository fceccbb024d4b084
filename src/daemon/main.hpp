// The entry of espalierd: arguments in, exit status out (0, 1, 2, 64, 65 or 69; README "Exit
// status").
#pragma once

namespace espalier::daemon {

int main(int argc, char** argv);

}  // namespace espalier::daemon
