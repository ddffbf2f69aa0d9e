/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "control/cli/command.h"

#define IDLE_MAX_DEFAULT_S 3.0

bool replay_pace_of(const struct call *call, struct replay_pace *pace)
{
	const char *speed = call_option(call, "speed");
	const char *idle = call_option(call, "max-idle");
	char *end = NULL;

	*pace = (struct replay_pace){.speed = 1, .idle_max = IDLE_MAX_DEFAULT_S};
	if (speed != NULL) {
		pace->speed = strtod(speed, &end);
		if (*speed == '\0' || *end != '\0' || !(pace->speed > 0 && pace->speed <= 1000))
			return complain("--speed takes a number above 0 and up to 1000, not '%s'", speed),
			       false;
	}
	if (idle != NULL) {
		pace->idle_max = strtod(idle, &end);
		if (*idle == '\0' || *end != '\0' || !(pace->idle_max >= 0 && pace->idle_max <= 86400))
			return complain(
			           "--max-idle takes seconds from 0 (never cut) to 86400, not '%s'", idle),
			       false;
	}
	if (call_option(call, "no-wait") != NULL)
		pace->speed = 0;
	return true;
}

static void wait_for(uint64_t from_us, uint64_t to_us, const struct replay_pace *pace)
{
	if (pace->speed <= 0 || to_us <= from_us)
		return;
	double seconds = (double)(to_us - from_us) / 1e6;
	if (pace->idle_max > 0 && seconds > pace->idle_max)
		seconds = pace->idle_max;
	seconds /= pace->speed;
	struct timespec pause = {.tv_sec = (time_t)seconds};
	pause.tv_nsec = (long)((seconds - (double)pause.tv_sec) * 1e9);
	fflush(stdout);
	nanosleep(&pause, NULL);
}

/* A smaller window than the recorded one wraps lines where the user's did not: say so rather than mislead. */
static void warn_of_size(const struct format_header *header)
{
	struct winsize size;

	if (!header->has_pty || header->width == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
		return;
	if (size.ws_col < header->width || size.ws_row < header->height)
		fprintf(stderr,
		    "reeve: recorded at %ux%u, this terminal has %ux%u: lines will not fall as they did\n",
		    header->width, header->height, size.ws_col, size.ws_row);
}

static void note_event(const struct format_record *record)
{
	uint32_t kind = record->code & 0xff000000u;

	if (kind == FORMAT_GAP)
		fprintf(stderr, "\nreeve: here the box lost %u records (it could not store them in time)\n",
		    record->code & 0xffffffu);
}

int replay_run(struct recording *recording, const struct replay_pace *pace)
{
	struct format_record record;
	uint64_t shown_us = 0;
	int got;

	warn_of_size(recording_header(recording));
	while ((got = recording_next(recording, &record)) > 0) {
		if (record.code >= FORMAT_EVENT)
			note_event(&record);
		if (record.source != FORMAT_FROM_ORIGIN || record.code >= FORMAT_EVENT)
			continue;
		wait_for(shown_us, record.time_us, pace);
		shown_us = record.time_us;
		if (fwrite(record.data.at, 1, record.data.len, stdout) != record.data.len)
			return complain("could not write the replay"), -1;
	}
	fflush(stdout);
	return got;
}
