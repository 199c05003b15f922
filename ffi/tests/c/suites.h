/* The suites, one a file. */
#ifndef SUITES_H
#define SUITES_H

#include "check.h"

void before_init(void);
void data(void);
void managers(void);
void messages(void);
void nulls(void);
void pool(void);
void process(void);
void smoke(void);
void sync_objects(void);

#endif
