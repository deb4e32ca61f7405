//! Entries in memory, kept in every order that lists have.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Direction, Page, PageRequest, SortValue, begin_of, cursor_behind};
use crate::error::StoreError;

/// What is kept of a row.
pub(crate) trait Listed {
    /// The orders that are kept.
    type Order: Copy + PartialEq + 'static;

    const ORDERS: &'static [Self::Order];

    fn id(&self) -> Uuid;

    fn value(&self, order: Self::Order) -> SortRef<'_>;
}

/// A [`SortValue`], borrowed; ordered as that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SortRef<'a> {
    Number(i64),
    Text(&'a str),
}

impl SortValue {
    fn borrowed(&self) -> SortRef<'_> {
        match self {
            Self::Number(number) => SortRef::Number(*number),
            Self::Text(text) => SortRef::Text(text),
        }
    }
}

impl SortRef<'_> {
    fn to_owned(self) -> SortValue {
        match self {
            Self::Number(number) => SortValue::Number(number),
            Self::Text(text) => SortValue::Text(text.to_owned()),
        }
    }
}

/// Entries by id, and in every order.
#[derive(Debug)]
pub(crate) struct Ordered<E: Listed> {
    /// An entry stays where it is; a place without one is used again.
    slots: Vec<Option<E>>,
    free: Vec<usize>,
    by_id: HashMap<Uuid, usize>,
    /// The slots by value and id, for each of [`Listed::ORDERS`].
    orders: Vec<Vec<usize>>,
}

/// Where an entry stands in an order.
type Place<'a> = Option<(SortRef<'a>, Uuid)>;

impl<E: Listed> Ordered<E> {
    pub(crate) fn new(entries: Vec<E>) -> Self {
        let by_id = entries.iter().enumerate().map(|(slot, entry)| (entry.id(), slot)).collect();
        let slots: Vec<_> = entries.into_iter().map(Some).collect();
        let mut ordered = Self { slots, free: Vec::new(), by_id, orders: Vec::new() };
        ordered.sort();
        ordered
    }

    /// Puts entries in the place of those with the same ids, or takes those away.
    pub(crate) fn replace(&mut self, changes: Vec<(Uuid, Option<E>)>) {
        // To sort once costs less than to move most of an order again and again.
        let sort_anew = changes.len() > self.slots.len() / 64 + 64;
        for (id, entry) in changes {
            if !sort_anew {
                self.leave_orders(id);
            }
            let slot = match (self.by_id.remove(&id), &entry) {
                (Some(slot), Some(_)) => slot,
                (Some(slot), None) => {
                    self.free.push(slot);
                    slot
                }
                (None, Some(_)) => self.free.pop().unwrap_or(self.slots.len()),
                (None, None) => continue,
            };
            let is_there = entry.is_some();
            match self.slots.get_mut(slot) {
                Some(place) => *place = entry,
                None => self.slots.push(entry),
            }
            if is_there {
                self.by_id.insert(id, slot);
                if !sort_anew {
                    self.join_orders(slot);
                }
            }
        }
        if sort_anew {
            self.sort();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &E> {
        self.slots.iter().flatten()
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<&E> {
        self.at(*self.by_id.get(&id)?)
    }

    /// The page of the entries that fit, in an order that is kept.
    pub(crate) fn page(
        &self,
        (order, sort_name, direction): (E::Order, &str, Direction),
        request: &PageRequest,
        fits: impl Fn(&E) -> bool,
    ) -> Result<Page<Uuid>, StoreError> {
        // In the order in which they lie in memory, which is many times as fast as any other.
        let fitting: Vec<bool> = self.slots.iter().map(|slot| slot.as_ref().is_some_and(&fits)).collect();
        let total = fitting.iter().filter(|fits| **fits).count();
        let begin = begin_of(request, sort_name, direction)?;
        let begin = match &begin {
            None => None,
            Some((value, id)) => Some((value.borrowed(), parse(id)?)),
        };
        let mut rest = self
            .behind(order, direction, begin)
            .filter(|slot| fitting.get(*slot).copied().unwrap_or(false))
            .filter_map(|slot| self.at(slot));
        let page: Vec<&E> = rest.by_ref().take(request.limit.max(1)).collect();
        let next_cursor = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => {
                let value = last.value(order).to_owned();
                Some(cursor_behind(value, last.id().to_string(), sort_name, direction)?)
            }
            _ => None,
        };
        let items = page.into_iter().map(Listed::id).collect();
        Ok(Page { items, total: u64::try_from(total).unwrap_or(u64::MAX), next_cursor })
    }

    /// The page of the entries that fit, in the order of a number that is not kept.
    pub(crate) fn page_by_number(
        &self,
        (number, sort_name, direction): (impl Fn(&E) -> i64, &str, Direction),
        request: &PageRequest,
        fits: impl Fn(&E) -> bool,
    ) -> Result<Page<Uuid>, StoreError> {
        // Turned round, the greatest comes first; ids ascend in both directions.
        let turned = |number: i64| match direction {
            Direction::Ascending => i128::from(number),
            Direction::Descending => -i128::from(number),
        };
        let mut places: Vec<(i128, i64, Uuid)> = self
            .iter()
            .filter(|entry| fits(entry))
            .map(|entry| {
                let number = number(entry);
                (turned(number), number, entry.id())
            })
            .collect();
        let total = places.len();
        match begin_of(request, sort_name, direction)? {
            None => {}
            Some((SortValue::Number(number), id)) => {
                let begin = (turned(number), number, parse(&id)?);
                places.retain(|place| *place > begin);
            }
            Some((SortValue::Text(_), _)) => return Err(StoreError::InvalidCursor),
        }
        let limit = request.limit.max(1);
        let more = places.len() > limit;
        if more {
            // To sort what is not shown would take longer than all the rest.
            places.select_nth_unstable(limit);
            places.truncate(limit);
        }
        places.sort_unstable();
        let next_cursor = match places.last().filter(|_| more) {
            Some((_, number, id)) => {
                Some(cursor_behind(SortValue::Number(*number), id.to_string(), sort_name, direction)?)
            }
            None => None,
        };
        let items = places.into_iter().map(|(.., id)| id).collect();
        Ok(Page { items, total: u64::try_from(total).unwrap_or(u64::MAX), next_cursor })
    }

    /// The slots behind a value and id; equal values are ordered by id, ascending, in both directions.
    fn behind<'a>(
        &'a self,
        order: E::Order,
        direction: Direction,
        begin: Option<(SortRef<'_>, Uuid)>,
    ) -> Box<dyn Iterator<Item = usize> + 'a> {
        let slots = self.in_order(order);
        let value = move |slot: usize| self.at(slot).map(|entry| entry.value(order));
        let from = |to: usize| slots.get(to..).unwrap_or_default();
        let passed = begin.map(|begin| slots.partition_point(|slot| self.place(*slot, order) <= Some(begin)));
        match (direction, begin.zip(passed)) {
            (Direction::Ascending, begin) => {
                Box::new(from(begin.map_or(0, |(_, passed)| passed)).iter().copied())
            }
            (Direction::Descending, begin) => {
                let (equal, smaller) = match begin {
                    None => (&[][..], slots),
                    Some(((of, _), passed)) => {
                        let smaller = slots.partition_point(|slot| value(*slot) < Some(of));
                        let equal = from(passed);
                        let equal = equal.get(..equal.partition_point(|slot| value(*slot) <= Some(of)));
                        (equal.unwrap_or_default(), slots.get(..smaller).unwrap_or_default())
                    }
                };
                let groups = smaller.chunk_by(move |a, b| value(*a) == value(*b));
                Box::new(equal.iter().chain(groups.rev().flatten()).copied())
            }
        }
    }

    fn at(&self, slot: usize) -> Option<&E> {
        self.slots.get(slot)?.as_ref()
    }

    fn place(&self, slot: usize, order: E::Order) -> Place<'_> {
        self.at(slot).map(|entry| (entry.value(order), entry.id()))
    }

    fn in_order(&self, order: E::Order) -> &[usize] {
        let kept = E::ORDERS.iter().position(|kept| *kept == order);
        kept.and_then(|index| self.orders.get(index)).map_or(&[], Vec::as_slice)
    }

    fn sort(&mut self) {
        let slots: Vec<usize> =
            self.slots.iter().enumerate().filter_map(|(slot, entry)| entry.as_ref().map(|_| slot)).collect();
        self.orders = E::ORDERS
            .iter()
            .map(|order| {
                let mut slots = slots.clone();
                slots.sort_unstable_by(|a, b| self.place(*a, *order).cmp(&self.place(*b, *order)));
                slots
            })
            .collect();
    }

    fn leave_orders(&mut self, id: Uuid) {
        let Some(slot) = self.by_id.get(&id).copied() else { return };
        self.move_in_orders(slot, |order, index| {
            if order.get(index) == Some(&slot) {
                order.remove(index);
            }
        });
    }

    fn join_orders(&mut self, slot: usize) {
        self.move_in_orders(slot, |order, index| order.insert(index, slot));
    }

    /// Tells where the entry in a slot stands, or belongs, in each order.
    fn move_in_orders(&mut self, slot: usize, change: impl Fn(&mut Vec<usize>, usize)) {
        let mut orders = std::mem::take(&mut self.orders);
        for (slots, order) in orders.iter_mut().zip(E::ORDERS) {
            let place = self.place(slot, *order);
            let index = slots.partition_point(|other| self.place(*other, *order) < place);
            change(slots, index);
        }
        self.orders = orders;
    }
}

fn parse(id: &str) -> Result<Uuid, StoreError> {
    Uuid::parse_str(id).map_err(|_| StoreError::InvalidCursor)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::{Entry, paginate};
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Item(u128, i64, String);

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Order {
        Number,
        Text,
    }

    impl Listed for Item {
        type Order = Order;

        const ORDERS: &'static [Order] = &[Order::Number, Order::Text];

        fn id(&self) -> Uuid {
            Uuid::from_u128(self.0)
        }

        fn value(&self, order: Order) -> SortRef<'_> {
            match order {
                Order::Number => SortRef::Number(self.1),
                Order::Text => SortRef::Text(&self.2),
            }
        }
    }

    fn item() -> impl Strategy<Value = (u128, Option<(i64, String)>)> {
        (0..20u128, proptest::option::weighted(0.8, (0..4i64, "[ab]{0,2}")))
    }

    proptest! {
        /// Against the pages that are made of all of them each time.
        #[test]
        fn whatever_came_and_went_every_page_is_that_of_the_whole_list(
            batches in proptest::collection::vec(proptest::collection::vec(item(), 0..12), 1..6),
            limit in 1..9usize,
            least in 0..3i64,
        ) {
            let mut all = BTreeMap::new();
            let mut ordered = Ordered::new(Vec::new());
            for batch in batches {
                let batch: BTreeMap<_, _> = batch.into_iter().collect();
                ordered.replace(
                    batch
                        .iter()
                        .map(|(id, item)| {
                            let item = item.clone().map(|(number, text)| Item(*id, number, text));
                            (Uuid::from_u128(*id), item)
                        })
                        .collect(),
                );
                for (id, item) in batch {
                    all.remove(&id);
                    all.extend(item.map(|(number, text)| (id, Item(id, number, text))));
                }
                for order in [Order::Number, Order::Text] {
                    for direction in [Direction::Ascending, Direction::Descending] {
                        let mut request = PageRequest::new(limit, None);
                        loop {
                            let entries = all
                                .values()
                                .filter(|item| item.1 >= least)
                                .map(|item| Entry {
                                    value: item.value(order).to_owned(),
                                    id: item.id().to_string(),
                                    item: item.id(),
                                })
                                .collect();
                            let expected = paginate(entries, "sort", direction, &request).unwrap();
                            let page = ordered
                                .page((order, "sort", direction), &request, |item| item.1 >= least)
                                .unwrap();
                            prop_assert_eq!(&page, &expected);
                            if order == Order::Number {
                                let by = (|item: &Item| item.1, "sort", direction);
                                let page = ordered.page_by_number(by, &request, |item| item.1 >= least);
                                prop_assert_eq!(&page.unwrap(), &expected);
                            }
                            request.cursor = page.next_cursor;
                            if request.cursor.is_none() {
                                break;
                            }
                        }
                    }
                }
                for id in 0..20 {
                    prop_assert_eq!(ordered.get(Uuid::from_u128(id)), all.get(&id));
                }
            }
        }
    }

    #[test]
    fn many_changes_at_once_are_sorted_as_few_are() {
        let item = |id: u128| Item(id, i64::try_from(id % 7).unwrap(), format!("{}", id % 11));
        let mut few = Ordered::new(Vec::new());
        for id in 0..500 {
            few.replace(vec![(Uuid::from_u128(id), Some(item(id)))]);
        }
        let mut many = Ordered::new(Vec::new());
        many.replace((0..500).map(|id| (Uuid::from_u128(id), Some(item(id)))).collect());
        assert_eq!(few.orders, many.orders);
        assert_eq!(few.orders, Ordered::new((0..500).map(item).collect()).orders);
    }
}
