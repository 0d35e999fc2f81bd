#include "textflag.h"

// func chain(rounds int)
// Sixteen additions a round, each of which needs the one before: a cycle each.
TEXT ·chain(SB), NOSPLIT, $0-8
	MOVQ rounds+0(FP), CX
	MOVQ $3, BX
	XORQ AX, AX
	PCALIGN $32

loop:
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	ADDQ BX, AX
	DECQ CX
	JNZ  loop
	RET
