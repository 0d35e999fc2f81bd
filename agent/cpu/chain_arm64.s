#include "textflag.h"

// func chain(rounds int)
// Sixteen additions a round, each of which needs the one before: a cycle each.
TEXT ·chain(SB), NOSPLIT, $0-8
	MOVD rounds+0(FP), R0
	MOVD $3, R1
	MOVD $0, R2

loop:
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	ADD  R1, R2, R2
	SUBS $1, R0, R0
	BNE  loop
	RET
