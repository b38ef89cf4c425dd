import React, { useState } from "react";

type Props = { title: string; items: string[] };

export function Panel({ title, items }: Props): JSX.Element {
  const [open, setOpen] = useState(false);
  const toggle = () => {
    const next = !open;
    setOpen(next);
  };
  return (
    <section className="panel">
      <h1 onClick={toggle}>{title}</h1>
      {open && items.map((item) => <p key={item}>{item}</p>)}
    </section>
  );
}

export class Counter extends React.Component<Props> {
  state = { count: 0 };

  increment(step: number) {
    const count = this.state.count + step;
    this.setState({ count });
  }

  render() {
    const { title } = this.props;
    return <button onClick={() => this.increment(1)}>{title}</button>;
  }
}
