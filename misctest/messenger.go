package misctest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealtalk-go/misc"
)

// A MessengerSuite says what [TestMessenger] tests. New is required.
type MessengerSuite struct {
	// New returns a Messenger to a chat cloud that has not been sent anything.
	// The function delivered returns all messages that this cloud has accepted
	// from the Messenger, in any order. It is not called while a message is
	// being sent.
	New func(t *testing.T) (m misc.Messenger, delivered func() []misc.Message)

	// Refuse makes the chat cloud refuse every message until mend is called. It
	// acts on the cloud of the Messenger that New returned last, as does Lose.
	Refuse func(t *testing.T) (mend func())

	// Lose makes the chat cloud accept every message and then close the
	// connection without an answer, or answer that it has failed, until mend is
	// called.
	Lose func(t *testing.T) (mend func())
}

// TestMessenger tests a misc.Messenger. The ids are those of the function ID,
// and strings that are not ids: a Messenger may send or refuse those.
func TestMessenger(t *testing.T, s MessengerSuite) {
	required(t, s.New != nil, "MessengerSuite.New")
	rule := func(name string, check func(t *testing.T, m messenger)) {
		t.Run(name, func(t *testing.T) {
			m, delivered := s.New(t)
			check(t, messenger{m, delivered})
		})
	}

	rule("a message arrives whole, sent once or again", func(t *testing.T, m messenger) {
		mention := `{"content":"@all","mentionedInfo":{"type":1}}`
		m.wantArrive(t,
			misc.Message{Type: misc.Private, From: ID(1), To: ID(2), ObjectName: "RC:TxtMsg", Content: `{"content":"hello"}`},
			misc.Message{Type: misc.Private, From: ID(2), To: ID(1), ObjectName: "App:Wave", Content: "hello", PushContent: "Hello!"},
			misc.Notice(ID(1), misc.Private, ID(2), misc.NoticeOpened),
			misc.Notice(ID(1), misc.Private, ID(2), misc.NoticeOpened),
			misc.Message{Type: misc.Group, From: ID(1), To: ID(1), ObjectName: "RC:TxtMsg", Content: `{"content":"hello"}`},
			misc.Message{Type: misc.Group, From: ID(2), To: ID(1), ObjectName: "App:Wave", Content: "hello", PushContent: "Hello!"},
			misc.Message{Type: misc.Group, From: ID(1), To: ID(2), ObjectName: "RC:TxtMsg", Content: mention, Mentioned: true},
			misc.Message{Type: misc.Group, From: ID(1), To: ID(2), ObjectName: "RC:TxtMsg", Content: mention, Mentioned: true, IncludeSender: true},
			misc.Notice(ID(1), misc.Group, ID(2), misc.NoticeClosed),
			misc.Notice(ID(1), misc.Group, ID(2), misc.NoticeClosed),
		)
	})

	rule("text arrives as it was written", func(t *testing.T, m messenger) {
		for _, text := range []string{
			`"quotes" and 'quotes'`, "lines\nand\r\nlines\tand tabs", "a=1&b=2;c#d?e", "1+1=2", "100 % %zz", "%41%2B",
			`back\slash \n \u0041 /`, "<b>&amp;</b>", "漢字 é 🎉 👩‍👩‍👧 \u2028", "  spaces around  ", "[]", "null",
		} {
			m.wantArrive(t, misc.Message{Type: misc.Private, From: ID(1), To: ID(2), ObjectName: "App:Note", Content: text, PushContent: text})
		}
	})

	// A messenger that decodes ids refuses these, and sends nothing.
	rule("an odd id or type arrives as it is", func(t *testing.T, m messenger) {
		for _, odd := range []string{"a&toUserId=b", "a=b;c", "a+b", "a%41", "a b", "a#b?c/d", "\"a\\", "漢字", "a\nb\r\nc"} {
			for _, kind := range []misc.ConversationType{misc.Private, misc.Group} {
				if !strings.Contains(odd, "\n") {
					m.wantArrive(t, misc.Message{Type: kind, From: ID(1), To: ID(2), ObjectName: "App:" + odd, Content: "hello"})
				}
				m.wantArriveOrError(t, misc.Message{Type: kind, From: odd, To: "to " + odd, ObjectName: "App:Note", Content: "hello"})
			}
		}
	})

	rule("the longest message arrives whole", func(t *testing.T, m messenger) {
		longest := misc.Message{Type: misc.Group, From: ID(4294967295), To: ID(1)}
		longest.ObjectName = "App:" + strings.Repeat("x", misc.MaxObjectName-len("App:"))
		longest.Content = strings.Repeat("é%+", misc.MaxContent/len("é%+"))
		m.wantArrive(t, longest)
	})

	// The cloud may refuse these, or a messenger that knows its limits.
	rule("a message that does not arrive is an error", func(t *testing.T, m messenger) {
		for _, content := range []string{"", strings.Repeat("x", misc.MaxContent+1)} {
			for _, kind := range []misc.ConversationType{misc.Private, misc.Group} {
				m.wantArriveOrError(t, misc.Message{Type: kind, From: ID(1), To: ID(2), ObjectName: "App:Note", Content: content})
			}
		}
	})

	rule("messages sent at the same time arrive once each", func(t *testing.T, m messenger) {
		const each = 4
		var notes []misc.Message
		for i := range uint32(workers * each) {
			notes = append(notes, misc.Message{Type: misc.Private, From: ID(10 + i), To: ID(90 + i), ObjectName: "App:Note", Content: fmt.Sprint("note ", i)})
		}
		together(func(i uint32) {
			for _, note := range notes[i*each : (i+1)*each] {
				m.send(t, note)
			}
		})
		m.wantDelivered(t, notes)
	})

	rule("an unsupported conversation type is an error and sends nothing", func(t *testing.T, m messenger) {
		for _, unsupported := range []misc.ConversationType{-1, 0, 2, 4, 5, 6, 10} {
			message := misc.Message{Type: unsupported, From: ID(1), To: ID(2), ObjectName: "App:Note", Content: "hello"}
			if err := m.Send(t.Context(), message); !errors.Is(err, misc.ErrUnsupportedType) {
				t.Errorf("Send for the conversation type %d: %v; want misc.ErrUnsupportedType", unsupported, err)
			}
		}
		m.wantDelivered(t, nil)
	})

	notes := []misc.Message{
		{Type: misc.Private, From: ID(1), To: ID(2), ObjectName: "App:Note", Content: "hello"},
		{Type: misc.Group, From: ID(1), To: ID(2), ObjectName: "App:Note", Content: "hello"},
	}
	rule("a cancelled send is an error and sends nothing", func(t *testing.T, m messenger) {
		for _, note := range notes {
			wantFailure(t, "Send, cancelled", m.Send(cancelled(t), note))
		}
		m.wantDelivered(t, nil)
	})

	if !untested(t, s.Refuse == nil, "Refuse") {
		rule("a refusal is misc.ErrRefused", func(t *testing.T, m messenger) {
			mend := s.Refuse(t)
			for _, note := range notes {
				if err := m.Send(t.Context(), note); !errors.Is(err, misc.ErrRefused) {
					t.Errorf("Send of a message that the cloud refused: %v; want misc.ErrRefused", err)
				}
			}
			m.wantDelivered(t, nil)
			mend()
			m.wantArrive(t, notes...)
		})
	}

	if !untested(t, s.Lose == nil, "Lose") {
		rule("a message whose answer is lost is an error and not delivered twice", func(t *testing.T, m messenger) {
			mend := s.Lose(t)
			for _, note := range notes {
				wantFailure(t, "Send without an answer", m.Send(t.Context(), note))
			}
			m.wantDelivered(t, notes)
			mend()
			m.wantArrive(t, notes...)
		})
	}
}

type messenger struct {
	misc.Messenger
	delivered func() []misc.Message
}

func (m messenger) send(t *testing.T, message misc.Message) {
	t.Helper()
	if err := m.Send(t.Context(), message); err != nil {
		t.Errorf("Send(%.300q): %v", fmt.Sprint(message), err)
	}
}

// wantArrive sends the messages, and fails unless exactly these are delivered.
func (m messenger) wantArrive(t *testing.T, messages ...misc.Message) {
	t.Helper()
	want := m.delivered()
	for _, message := range messages {
		m.send(t, message)
		want = append(slices.Clip(want), message)
		m.wantDelivered(t, want)
	}
}

// wantArriveOrError fails unless Send delivers the message or returns an error,
// and not both.
func (m messenger) wantArriveOrError(t *testing.T, message misc.Message) {
	t.Helper()
	want := slices.Clip(m.delivered())
	if m.Send(t.Context(), message) == nil {
		want = append(want, message)
	}
	m.wantDelivered(t, want)
}

// wantDelivered compares what was delivered since the beginning, in any order.
func (m messenger) wantDelivered(t *testing.T, want []misc.Message) {
	t.Helper()
	surplus := make(map[misc.Message]int)
	for _, message := range m.delivered() {
		surplus[message]++
	}
	for _, message := range want {
		surplus[message]--
	}
	for message, n := range surplus {
		if n != 0 {
			t.Errorf("delivered %+d times, compared with what was sent: %.300q", n, fmt.Sprintf("%+v", message))
		}
	}
}

var _ misc.Messenger = (*Messenger)(nil)

// A Messenger is a fake misc.Messenger that records the messages. The zero
// value is ready to use.
type Messenger struct {
	mu        sync.Mutex
	delivered []misc.Message
	err       error
}

// Send implements misc.Messenger. If message.Type is neither Private nor Group,
// it returns misc.ErrUnsupportedType.
func (m *Messenger) Send(ctx context.Context, message misc.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if message.Type != misc.Private && message.Type != misc.Group {
		return misc.ErrUnsupportedType
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.delivered = append(m.delivered, message)
	return nil
}

// Fail makes every later Send record nothing and return err. If the context is
// cancelled or the type is unsupported, Send returns the error for that.
// Fail(nil) makes Send work again.
func (m *Messenger) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// Delivered returns the messages sent so far, in order.
func (m *Messenger) Delivered() []misc.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.delivered)
}
