#include "textflag.h"

// func repeatMove(to, from []byte)
TEXT ·repeatMove(SB), NOSPLIT, $0-48
	MOVQ to_base+0(FP), DI
	MOVQ from_base+24(FP), SI
	MOVQ from_len+32(FP), CX
	CLD
	REP; MOVSB
	RET
