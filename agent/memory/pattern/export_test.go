package pattern

// Loops lets tests call the inner loops of a kernel on their own.
type Loops = loops

// LoopsOf returns them.
func LoopsOf(k Kernel) Loops { return k.loops }

// The loops by name, for tests.
func (l loops) Fill(mem, table []uint64, k *[8]uint64) { l.fill(mem, table, k) }

func (l loops) Check(mem, table []uint64, k *[8]uint64, got *[32]uint64) int {
	return l.check(mem, table, k, got)
}

func (l loops) Turn(mem, table []uint64, k *[8]uint64, next []uint64, nextKey *[8]uint64, got *[32]uint64) int {
	return l.turn(mem, table, k, next, nextKey, got)
}

func (l loops) TurnDown(mem, table []uint64, k *[8]uint64, next []uint64, nextKey *[8]uint64, got *[32]uint64) int {
	return l.turnDown(mem, table, k, next, nextKey, got)
}

func (l loops) Move(dst, mem, table []uint64, k *[8]uint64, got *[32]uint64) int {
	return l.move(dst, mem, table, k, got)
}

func (l loops) Triad(dst, a, b []float64) { l.triad(dst, a, b) }

func (l loops) Copy(dst, src []uint64) { l.copy(dst, src) }

// Word is what a content holds in a word, worked out the slow way.
func Word(c Content, a Area, word int) uint64 {
	var k key

	table := a.view(&c, word/tileWords, &k)

	return table[word%tileWords] ^ k[word%keyWords]
}

// Order returns the numbers in the order of a shuffle.
func Order(n int) (order []int) {
	s := newShuffle(n)
	for range n {
		order = append(order, s.next())
	}

	return order
}
