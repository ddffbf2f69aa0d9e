/* SPDX-License-Identifier: Apache-2.0 */
/* who: what the ways of telling who somebody is have in common. Only who*.c use it. */
#ifndef CONTROL_SESSIONS_WHO_H
#define CONTROL_SESSIONS_WHO_H

#include "control/control.h"

/* The session is this user's from now on. */
void who_settle(
    struct session *session, const struct user *user, struct wire_span login, enum rpc_identity identity);
/* Answers WHO for the user whom the session was settled on. `method`, `detail` (taken over): for the audit
 * log. */
void who_accept(struct control *control, struct session *session, uint32_t id, json_t *detail);
/* Answers no. `message`: for the user, who then has shown to be somebody; "": nothing is told. */
void who_refuse(struct control *control, struct session *session, uint32_t id, const char *message);

/* Each judges one question and answers it, now or when the keeper has answered. */
void who_judge_key(struct control *control, struct session *session, struct rpc_message *message,
    const struct rpc_ses_who *who);
/* Nothing to be judged: that the key was offered is kept for the audit log. */
void who_note_untaken(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who);
void who_judge_address(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who);
void who_judge_unproven(
    struct control *control, struct session *session, uint32_t id, const struct rpc_ses_who *who);

#endif
