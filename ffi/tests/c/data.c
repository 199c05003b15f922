#include "suites.h"

void data(void) {}
