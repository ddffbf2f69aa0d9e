#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Every way to log in, through a real reeve-sshterm: by address, by what the origin is told, by several methods in a
# row, with a second factor; the limits of each; and that no secret stays.
#
#   test_login.sh FAKE_BOX REEVE_SSHTERM
set -u
. "$(dirname "$0")/fake_box.sh"
talker=$here/talker.py
asking=$here/../../lab/asking_origin.py
/usr/bin/python3 -c 'import paramiko' 2>/dev/null || { echo "needs python3-paramiko"; exit 77; }
for key in enrolled hostkey; do ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$key"; done
secret='correct horse battery'

/usr/bin/python3 "$asking" "$origin" hostkey 127.0.0.1 >origin.log 2>origin.err &
pids+=($!)
within 60 grep -s ready origin.log

# What ssh asks is noted in `asked`, and answered by the first line PATTERN|ANSWER of `answers` that fits; one that
# begins with ! is good once.
cat >askpass <<'END'
#!/bin/bash
printf '%s\n' "$1" >>asked
n=0
while IFS='|' read -r pattern answer; do
	n=$((n + 1))
	[[ $1 == *"${pattern#!}"* ]] || continue
	[[ $pattern != !* ]] || sed -i "${n}d" answers
	printf '%s\n' "$answer"
	exit 0
done <answers
exit 1
END
chmod +x askpass
# login_as ANSWERS LOGIN [SSH OPTION…]
login_as() {
	printf '%s\n' "$1" >answers
	rm -f asked
	local login=$2
	shift 2
	SSH_ASKPASS=$dir/askpass SSH_ASKPASS_REQUIRE=force timeout 150 setsid ssh -F none -o UserKnownHostsFile="$dir/known" \
		-o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -o IdentityAgent=none -o IdentityFile=none -p "$port" "$@" \
		"$login@127.0.0.1" who 2>&1
}
talk() { timeout 150 /usr/bin/python3 "$talker" "$port" "$@" 2>&1; }
# How often TEXT lies in the worker's memory.
in_memory() {
	/usr/bin/python3 - "$(pgrep -P "$boxpid")" "$1" <<'END'
import re, sys
found = 0
with open(f"/proc/{sys.argv[1]}/maps") as maps, open(f"/proc/{sys.argv[1]}/mem", "rb", 0) as mem:
    for line in maps:
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
        if m:
            start, end = (int(x, 16) for x in m.groups())
            try:
                mem.seek(start)
                found += mem.read(end - start).count(sys.argv[2].encode())
            except OSError:
                pass
print(found)
END
}
# Only root may look, and AddressSanitizer keeps what was freed, terabytes of shadow beside it.
wiped() { # WHAT TEXT
	if [ "$(id -u)" = 0 ] && ! grep -qa __asan_init "$worker"; then is "$1" 0 "$(in_memory "$2")"; fi
}

# -- the origin judges: password and keyboard-interactive, handed on --
up --grace 100 --identities 8 --origin-auth 3,4
# What begins a dialogue and is asked nothing gives dialogues up: the first of this box is told of none.
got=$(login_as "assword|$secret" pwkb -o NumberOfPasswordPrompts=1)
has "a password, and only then a question of the origin's" 'in as pwkb' "$got"
is "each is asked for once" "pwkb@127.0.0.1's password: (pwkb@127.0.0.1) Password: " "$(paste -sd '' asked)"
lacks "and the origin for nothing that it does not have" 'not offered' "$(grep '^pwkb' origin.log)"
got=$(login_as "Password|$secret" someone)
has "keyboard-interactive, answered at the origin" 'in as someone' "$got"
has "the origin's banner comes before its question" 'the origin is about to ask' "$got"
has "its prompt is the one that was sent" 'Password: ' "$(cat asked)"
wiped "no copy of the password is left in the worker" "$secret"
got=$(login_as $'!Password|wrong\nPassword|'"$secret" someone)
has "a wrong answer, then the right one" 'in as someone' "$got"
is "asked twice" 2 "$(grep -c Password asked)"
has "a password" 'in as passwords' "$(login_as "password|$secret" passwords)"
case $(login_as "password|$secret" passwords -v) in
*"with partial success"*) not_ok "a method that the origin does not have is no success" ;;
*"in as passwords"*) ok "a method that the origin does not have is no success" ;;
*) not_ok "a password after a method that the origin does not have" ;;
esac
wiped "nor is one of that" "$secret"
got=$(login_as "$(printf 'Retype|a new one\nnew password|a new one\npassword|%s' "$secret")" change)
has "a password that must be changed" 'in as change' "$got"
has "with the origin's words for it" 'choose another one' "$got"
has "which gets the old one and the new one" 'change: change True True' "$(cat origin.log)"
wiped "neither stays" "a new one"
is "three rounds as they were asked" "'Round one' 'Answer both\\nof these' [('Your colour? ', True), ('Your secret: ', False)]
'' '' []
'Röund three' '' [('Once more: ', False)]
in as rounds" "$(talk ask rounds blue s1 s2)"
is "two thousand prompts at once" 'in as many' "$(talk echo many)"
is "one of 30,000 characters, and such an answer" 'in as huge' "$(talk echo huge)"
has "an origin that lets anyone in tells nobody who somebody is" "lets anyone in as 'open'" "$(login_as 'x|x' open)"
told 'event auth .*"success":true' && ok "once it let somebody in, who that was is told" || not_ok "once it let somebody in, who that was is told"
has "requests before any answer: answered in their order" 'failure password False | failure password False | failure password False | success' \
	"$(talk pipeline passwords)"
has "answers nobody asked for, a dialogue begun anew" 'success' "$(talk strayed)"
has "other keys while a question is open" 'success' "$(talk rekey | tail -n 1)"
has "an origin that wants other keys before it asks" 'in as rekeys' "$(login_as "Password|$secret" rekeys)"
grep -q '^rekeys: other keys' origin.log && ok "and has got them" || not_ok "and has got them"
talk farewell >/dev/null
eventually_said() { within 60 grep "$1" origin.log; }
told 'event auth.*client_closed.*"disconnect":14' && ok "of which control is told" || not_ok "of which control is told"
eventually_said 'farewell: 14 I have changed my mind' && ok "a client's good-bye is the origin's" || not_ok "a client's good-bye is the origin's" "in origin.log" "$(tail -n 3 origin.log)"
before=$(times 'event auth.*client_closed.*"disconnect":14')
talk parting >/dev/null
told_again 'event auth.*client_closed.*"disconnect":14' "$before" && ok "one who goes while the origin is silent is gone" || not_ok "one who goes while the origin is silent is gone"
told 'event origin.auth.*"method":"keyboard-interactive","success":true' && ok "control is told how the origin let us in" || not_ok "control is told how the origin let us in"

# -- who does not get in, and what they learn --
begun=$(date +%s)
got=$(login_as "Password|$secret" nobody -o NumberOfPasswordPrompts=1)
has "a login that is nobody's is refused" 'Permission denied' "$got"
has "after a question, as if it were somebody's" 'Password: ' "$(cat asked)"
[ $(($(date +%s) - begun)) -ge 2 ] && ok "and no sooner than an origin would" || not_ok "and no sooner than an origin would"
grep -q '^nobody:' origin.log && not_ok "the origin never hears of it" || ok "the origin never hears of it"
got=$(login_as "Password|$secret" refused -o NumberOfPasswordPrompts=1)
has "nor of one that the rule does not allow" 'Permission denied' "$got"
case $got in *"is not allowed"*) not_ok "about which nothing is said" ;; *) ok "about which nothing is said" ;; esac
has "three wrong passwords" 'too many authentication failures' "$(login_as 'assword|wrong' passwords)"
has "three wrong answers" 'too many authentication failures' "$(login_as 'assword|wrong' someone)"
got=$(login_as 'password|x' bye)
has "an origin that hangs up during login: its words" 'this account sleeps until Monday' "$got"
has "and its reason" ':13: ' "$got"
has "another login name once the origin has heard one" '(over)' "$(talk rename)"
has "rounds without end" 'too many authentication requests' "$(login_as '|' endless)"
has "an origin that asks twice at once" 'breaks the authentication protocol' "$(login_as '|' rude)"
has "requests that are no attempts, without end" '(over)' "$(talk nones)"
has "250 requests at once" '(over)' "$(talk flood)"
is "what comes behind a password is read once that has let in" \
	"success | request failure | opened | runs | 'in as passwords\\n' | eof | close " "$(talk hasty passwords password "$secret")"
down
grep -q -e "$secret" -e 'a new one' out err && not_ok "no secret in what control is told" || ok "no secret in what control is told"

# Whether a login is somebody's is not to be told from how a wrong password for it goes on.
up --grace 100 --identities 11 --origin-auth 1,3,4
is "a wrong password: the name stays, a key is of no use, the origin's methods alone" \
	'failure password False | failure password False | failure password False | portreeve: the login name cannot be changed any more (over)' "$(talk guess passwords enrolled)"
for login in nobody refused; do
	is "the same for $login" 'failure password False | failure password False | failure password False | portreeve: the login name cannot be changed any more (over)' \
		"$(talk guess "$login" enrolled)"
done
for login in passwords nobody refused; do
	told "who $login untaken" && ok "control is told which key it was: $login" || not_ok "control is told which key it was: $login"
done
# Nor from what a client's first question is answered.
for login in passwords nobody refused; do
	is "what there is, told first: $login" 'failure publickey,password False | failure password False | failure password False | the login name cannot be changed' \
		"$(talk look "$login" | sed 's/portreeve: //; s/ any more (over)//')"
done
grep -q -e '^nobody:' -e '^refused:' origin.log && not_ok "the origin hears of neither" || ok "the origin hears of neither"
has "whose key comes after that has it taken" 'success' "$(talk keyed_later keyed enrolled)"
login_as "assword|wrong" nobody -o NumberOfPasswordPrompts=1 >/dev/null
is "nobody is asked for what the origin takes" "nobody@127.0.0.1's password: " "$(cat asked)"
down

# -- time --
up --grace 10 --identities 8 --origin-auth 4
begun=$SECONDS
login_as 'Say|x' silent >silent.got &
silent=$!
has "a client that never answers ends with the login's time" 'question | banner (over)' "$(talk mute)"
wait "$silent"
has "so does an origin that is silent" 'login took too long' "$(cat silent.got)"
told_again 'event auth.*login_timeout' 1
is "each as what it is" 2 "$(times 'event auth.*login_timeout')"
took=$((SECONDS - begun))
[ "$took" -le 40 ] && ok "and in time" || not_ok "and in time" "<= 40 s" "$took s"
down

# -- a key here, and more there --
up --grace 100 --origin-auth 1,3,4
key=(-o IdentityFile="$dir/enrolled")
has "a certificate, then a question of the origin's" 'in as two' "$(login_as "Password|$secret" two "${key[@]}")"
has "a certificate, then a password" 'in as pkpw' "$(login_as "password|$secret" pkpw "${key[@]}")"
has "the client is told of a partial success" 'with partial success' "$(login_as "Password|$secret" two "${key[@]}" -v)"
has "three methods in a row" 'in as three' "$(login_as "assword|$secret" three "${key[@]}")"
is "in their order" "three: key three: password right three: answer right" "$(echo $(grep '^three' origin.log))"
has "a method that the rule has and the origin offers alone" 'in as passwords' "$(login_as "password|$secret" passwords "${key[@]}")"
has "not with a wrong one" 'Permission denied' "$(login_as "Password|wrong" two "${key[@]}" -o NumberOfPasswordPrompts=1)"
down
up --grace 100 --origin-auth 1
has "a method that the rule does not have" "wants a further method for login 'two' (keyboard-interactive)" "$(login_as "Password|$secret" two "${key[@]}")"
has "none that it has" "offers login 'passwords' only these methods: password" "$(login_as "password|$secret" passwords "${key[@]}")"
down

up --grace 100 --origin-auth 4
has "of two ways that the origin has the one of the rule" 'Permission denied (keyboard-interactive)' \
	"$(login_as "assword|$secret" both "${key[@]}" -o PreferredAuthentications=publickey,password)"
has "which lets in" 'in as both' "$(login_as "assword|$secret" both "${key[@]}")"
down
up --grace 100 --origin-auth 3
has "signed requests at once: each is answered by its own signature" 'failure publickey False | failure password True | failure password False' \
	"$(talk signatures passwords enrolled)"
told 'who passwords untaken' && ok "control is told of the key whose signature is wrong" || not_ok "control is told of the key whose signature is wrong"
down

up --grace 100 --origin-auth 1
is "what comes behind a key is read once that has let in" "success | request failure | opened | runs | 'in as keyed\\n' | eof | close " \
	"$(talk hasty keyed enrolled)"
is "and not recognized where it has not" "failure publickey False | unimplemented 80 | unimplemented 90 | unimplemented 98 | success " \
	"$(talk hasty keyed enrolled wrong)"
has "what has no place before login is told in our words" 'sent a message (type 51) that has no place before login' "$(talk astray 51)"
down

# -- what comes too late (as OpenSSH's server has it: RFC 4253 section 11.4) --
up --grace 100 --origin-auth 1
types=(5 6 21 30 31 32 33 34 50 51 52 53 60 61 66)
is "messages of a login or key exchange that is over are not recognized, and the session goes on" \
	"$(printf 'unimplemented %s | request failure \n' "${types[@]}")
unimplemented 50 
opened | runs | 'in as keyed\\n' | eof | close " "$(talk late keyed enrolled "${types[@]}")"
has "nor those of an origin" 'in as late' "$(login_as '|' late "${key[@]}")"
is "which is told of each" "unimplemented 6 unimplemented 21 unimplemented 30 unimplemented 31 unimplemented 33 unimplemented 50 \
unimplemented 51 unimplemented 52 unimplemented 53 unimplemented 60 unimplemented 61 unimplemented 66" \
	"$(sed -n 's/^late: unimpl/unimpl/p' origin.log | paste -sd' ')"
down

# -- by address --
up --grace 100 --identities 4 --notice $'Sessions are recorded.\nAsk ops why.'
got=$(login_as '|' keyed)
has "a bound address needs no key" 'in as keyed' "$got"
[ -e asked ] && not_ok "nor any answer" || ok "nor any answer"
has "a notice before login" $'Sessions are recorded.\r\nAsk ops why.' "$got"
has "an address that is not bound" 'Permission denied' "$(login_as '|' nobody)"
has "who reads the notice, too" 'Sessions are recorded.' "$(login_as '|' nobody)"
down
up --grace 100 --identities 7
has "an origin that lets anyone in" 'in as open' "$(login_as 'x|x' open)"
has "a key where an address would do, too" 'in as keyed' "$(login_as '|' keyed "${key[@]}")"
down

# -- a second factor --
up --grace 100 --totp --attempts 3
has "a key and a code" 'in as keyed' "$(login_as 'Verification code: |123456' keyed "${key[@]}")"
if command -v plink puttygen >/dev/null; then
	puttygen enrolled -o enrolled.ppk -O private >/dev/null 2>&1
	has "a key and a code, by plink" 'in as keyed' "$(timeout 150 plink -batch -ssh -noagent -P "$port" -i enrolled.ppk -pw 123456 \
		-hostkey "$(ssh-keygen -lf host.pub | cut -d' ' -f2)" keyed@127.0.0.1 who 2>&1)"
fi
got=$(login_as $'!Verification code: |000000\nVerification code: |123456' keyed "${key[@]}")
has "a wrong code, then the right one" 'in as keyed' "$got"
has "whose owner is told why" 'not the one of this half minute' "$got"
has "three wrong codes" 'too many authentication failures' "$(login_as 'Verification code: |000000' keyed "${key[@]}")"
got=$(login_as '|' keyed "${key[@]}" -o PreferredAuthentications=publickey)
has "a key alone" 'Permission denied (keyboard-interactive)' "$got"
got=$(login_as '|' codeless "${key[@]}")
has "who has no second factor is told so" 'you have no second factor' "$got"
[ -e asked ] && not_ok "and is not asked for a code" || ok "and is not asked for a code"
got=$(login_as '|' codeless)
lacks "which nobody learns without the key" 'you have no second factor' "$got"
down
up --grace 100 --totp --origin-auth 1,3,4
has "a key, a code, and the origin's question" 'in as two' "$(login_as $'code|123456\n'"Password|$secret" two "${key[@]}")"
has "a key, a code, and the origin's password" 'in as pkpw' "$(login_as $'code|123456\n'"password|$secret" pkpw "${key[@]}")"
down
up --grace 100 --totp --identities 12 --origin-auth 3,4
has "an address and a code, then the origin's question" 'in as someone' "$(login_as $'code|123456\n'"Password|$secret" someone)"
down
up --grace 100 --totp --identities 8 --origin-auth 3,4
has "a code in the origin's dialogue" 'in as someone' "$(login_as $'code|123456\n'"Password|$secret" someone)"
got=$(login_as $'code|123456\n'"assword|$secret" passwords -o NumberOfPasswordPrompts=1)
has "a password, then a code" 'in as passwords' "$got"
is "and the password is asked for once" 1 "$(grep -c "'s password" asked)"
got=$(login_as $'code|000000\n'"assword|$secret" passwords -o PreferredAuthentications=password,keyboard-interactive)
lacks "a password without the code" 'in as' "$got"
has "is told why" 'not the one of this half minute' "$got"
for login in someone nobody; do
	login_as $'code|123456\nPassword|wrong' "$login" >/dev/null
	lacks "$login with a wrong password is asked for no code" 'Verification code' "$(cat asked)"
done
down

finish_counting
