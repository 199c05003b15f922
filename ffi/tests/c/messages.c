#include "suites.h"

void messages(void) {}
