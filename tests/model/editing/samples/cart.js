import { format } from "./money.js";

const RATE = 0.19;

export function total(items, rate = RATE) {
  let sum = 0;
  for (const item of items) {
    sum += item.price * item.count;
  }
  return sum * (1 + rate);
}

class Cart {
  #items = [];

  constructor(owner) {
    this.owner = owner;
  }

  add(item) {
    if (!item.count) {
      throw new Error(`empty: ${item.name}`);
    }
    this.#items.push(item);
    return this;
  }

  async checkout(client) {
    const sum = total(this.#items);
    const answer = await client.pay(this.owner, sum);
    return answer.ok ? format(sum) : null;
  }
}

const discount = (cart, percent) => {
  const factor = 1 - percent / 100;
  return cart.total * factor;
};

module.exports = {
  names: function (items) {
    const seen = new Set(items.map((item) => item.name));
    return [...seen];
  },
};

describe("cart", () => {
  const cart = new Cart("me");
  cart.add({ name: "tea", count: 1 });
});
