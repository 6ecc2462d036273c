/* SPDX-License-Identifier: MIT */
/* A host that answers requests for transitions as the test wants it to. */
#ifndef TESTS_GUEST_FAKE_HOST_H
#define TESTS_GUEST_FAKE_HOST_H

#include "pin.h"

/* Asked for each request; NULL: all are granted. */
extern enum alias_status (*fake_host_answers)(const struct pin_req *req);

#endif
