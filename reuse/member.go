package reuse

import (
	"net"
	"syscall"
)

// A member is one listening socket of ours.
type member struct {
	l      *net.TCPListener
	raw    syscall.RawConn
	cookie uint64
	v6     bool
}

func newMember(l *net.TCPListener, v6 bool) (*member, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		l.Close()
		return nil, err
	}
	m := &member{l: l, raw: raw, v6: v6}
	err = m.control(func(fd int) (err error) {
		m.cookie, err = socketCookie(fd)
		return err
	})
	if err != nil {
		l.Close()
		return nil, err
	}
	return m, nil
}

func (m *member) control(f func(fd int) error) error { return control(m.raw, f) }

// admit takes the guard off.
func (m *member) admit() error {
	return m.control(func(fd int) error { return setGuard(fd, m.v6, 0) })
}

func (m *member) attach(p Plan) error {
	prog, err := p.Program()
	if err != nil {
		return err
	}
	return m.control(func(fd int) error { return attach(fd, prog) })
}

// queue returns the length and limit of the accept queue.
func (m *member) queue() (length, limit int, err error) {
	err = m.control(func(fd int) (err error) {
		length, limit, err = queueOf(fd)
		return err
	})
	return length, limit, err
}
