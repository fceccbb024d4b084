#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace espalier {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "espalier: internal error: assertion '%s' failed at %s:%d\n", expression,
               file, line);
  std::abort();
}

}  // namespace espalier
