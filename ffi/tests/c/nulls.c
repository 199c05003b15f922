#include "suites.h"

void nulls(void) {}
