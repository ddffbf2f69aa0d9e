/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "sshterm/lingering.h"

#define START 5000000u

Test(lingering, who_takes_nothing_has_a_minute)
{
	struct lingering lingering = {0};

	cr_expect_eq(lingering_deadline(&lingering), UINT64_MAX, "it has not begun");
	cr_expect_not(lingering_is_over(&lingering, 0, START), "it begins");
	cr_expect_geq(LINGERING_US, 60000000);
	cr_expect_eq(lingering_deadline(&lingering), START + LINGERING_US);
	cr_expect_not(lingering_is_over(&lingering, 0, START + LINGERING_US - 1));
	cr_expect(lingering_is_over(&lingering, 0, START + LINGERING_US));
}

Test(lingering, who_takes_anything_has_another)
{
	struct lingering lingering = {0};
	uint64_t now = START, left = 100;

	cr_expect_not(lingering_is_over(&lingering, left, now));
	while (left > 0) {
		now = lingering_deadline(&lingering);
		cr_expect_not(
		    lingering_is_over(&lingering, --left, now), "%llu are left", (unsigned long long)left);
	}
	cr_expect_not(lingering_is_over(&lingering, 0, now + LINGERING_US - 1));
	cr_expect(lingering_is_over(&lingering, 0, now + LINGERING_US), "and goes, or not");
}
