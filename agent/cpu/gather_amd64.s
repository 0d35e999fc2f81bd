#include "textflag.h"

// Groups of eight lanes: i = x>>20; g = table[i]; x = (rotl(x, 11) ^ g) + k; then
// the lanes change places.
#define GATHER2(x, i, m, g) \
	VPSRLD     $20, x, i \
	VPCMPEQD   m, m, m \
	VPGATHERDD m, (BX)(i*4), g \
	VPSRLD     $21, x, i \
	VPSLLD     $11, x, x \
	VPOR       i, x, x \
	VPXOR      g, x, x \
	VPADDD     Y15, x, x \
	VPERMD     x, Y14, x

#define GATHER5(x, i, g) \
	VPSRLD     $20, x, i \
	KXNORW     K0, K0, K1 \
	VPGATHERDD (BX)(i*4), K1, g \
	VPROLD     $11, x, x \
	VPXORD     g, x, x \
	VPADDD     Z15, x, x \
	VPERMD     x, Z14, x

// func gatherAVX2(s *gatherState, steps int)
TEXT ·gatherAVX2(SB), NOSPLIT, $0-16
	MOVQ s+0(FP), AX
	MOVQ steps+8(FP), CX
	MOVQ 328(AX), BX
	VMOVDQU 256(AX), Y14
	VPBROADCASTD 320(AX), Y15
	VMOVDQU 0(AX), Y0
	VMOVDQU 32(AX), Y1
	VMOVDQU 64(AX), Y2
	VMOVDQU 96(AX), Y3
	VMOVDQU 128(AX), Y4
	VMOVDQU 160(AX), Y5
	VMOVDQU 192(AX), Y6
	VMOVDQU 224(AX), Y7
	TESTQ CX, CX
	JZ done
	PCALIGN $32

loop:
	GATHER2(Y0, Y8, Y10, Y12)
	GATHER2(Y1, Y9, Y11, Y13)
	GATHER2(Y2, Y8, Y10, Y12)
	GATHER2(Y3, Y9, Y11, Y13)
	GATHER2(Y4, Y8, Y10, Y12)
	GATHER2(Y5, Y9, Y11, Y13)
	GATHER2(Y6, Y8, Y10, Y12)
	GATHER2(Y7, Y9, Y11, Y13)
	DECQ CX
	JNZ loop

done:
	VMOVDQU Y0, 0(AX)
	VMOVDQU Y1, 32(AX)
	VMOVDQU Y2, 64(AX)
	VMOVDQU Y3, 96(AX)
	VMOVDQU Y4, 128(AX)
	VMOVDQU Y5, 160(AX)
	VMOVDQU Y6, 192(AX)
	VMOVDQU Y7, 224(AX)
	VZEROUPPER
	RET

// func gatherAVX512(s *gatherState, steps int)
TEXT ·gatherAVX512(SB), NOSPLIT, $0-16
	MOVQ s+0(FP), AX
	MOVQ steps+8(FP), CX
	MOVQ 328(AX), BX
	VMOVDQU32 256(AX), Z14
	VPBROADCASTD 320(AX), Z15
	VMOVDQU32 0(AX), Z0
	VMOVDQU32 64(AX), Z1
	VMOVDQU32 128(AX), Z2
	VMOVDQU32 192(AX), Z3
	TESTQ CX, CX
	JZ done
	PCALIGN $32

loop:
	GATHER5(Z0, Z4, Z8)
	GATHER5(Z1, Z5, Z9)
	GATHER5(Z2, Z6, Z10)
	GATHER5(Z3, Z7, Z11)
	DECQ CX
	JNZ loop

done:
	VMOVDQU32 Z0, 0(AX)
	VMOVDQU32 Z1, 64(AX)
	VMOVDQU32 Z2, 128(AX)
	VMOVDQU32 Z3, 192(AX)
	VZEROUPPER
	RET
